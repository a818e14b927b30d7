-- Renews a lease, and records the intent of an upload that is about to make its object visible.
local id, lease, fencing_token, duration_ms, intent = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
if not is_live(id, lease, fencing_token) then return 'lost' end
if intent == '' then even_when_full() end
put_lease(id, lease, now_ms + duration_ms, fencing_token)
if intent ~= '' then call('HSET', LEASES_OF .. id, INTENT_OF .. lease, intent) end
return 'held'
