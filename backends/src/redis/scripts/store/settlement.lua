-- Returns what became of a finalised upload whose holder has lost its lease.
local id, lease = ARGV[1], ARGV[2]
local counted = call('GET', SETTLEMENT_OF .. lease_member(id, lease))
if counted then return counted end
local f = call('HMGET', LEASES_OF .. id, lease, INTENT_OF .. lease)
return f[1] and f[2] and 'open' or 'void'
