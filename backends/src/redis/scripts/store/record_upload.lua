-- Writes down what storage calls an upload in parts, beside its lease.
local id, lease, turn, upload = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not live_lease(id, lease, turn) then return 'lost' end
redis.call('HSET', P .. 'u', id .. ':' .. lease, upload)
redis.call('ZADD', P .. 'parts', int(own_lease(id, lease, turn)), id .. ':' .. lease)
return 'held'
