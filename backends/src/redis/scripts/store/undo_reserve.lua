-- Undoes a `reserve` whose reply was lost. A `reserve` that arrives later with the same call id counts nothing.
local id, reserve_id, client, node, open, call_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
even_when_full()
if not first_run(call_id) then return 0 end
if call('HEXISTS', LEASES_OF .. id, reserve_id) == 1 then delete_lease(id, reserve_id) end
local counted = call('GET', CALL_ID .. reserve_id)
if counted then
  release_hit(id, string.sub(counted, 1, LEASE_LENGTH), client, string.sub(counted, LEASE_LENGTH + 2))
end
call('SET', CALL_ID .. reserve_id, 'undone', 'PX', CALL_ID_TTL_MS)
close_event(node, open, '', '')
return 1
