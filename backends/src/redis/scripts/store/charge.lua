-- Charges bytes against the token's budget. They are stored with the lease, so that those of a lapsed
-- lease no longer count.
local id, lease, fencing_token, bytes, budget, call_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if not is_live(id, lease, fencing_token) then return 'lost' end
if call('EXISTS', CALL_ID .. call_id) == 1 then return 'done' end
local charged = tonumber(call('HGET', TOKEN .. id, CHARGED_BYTES) or '0') + tonumber(bytes)
local all, fields = call('HGETALL', LEASES_OF .. id), {}
for n = 1, #all, 2 do fields[all[n]] = all[n + 1] end
for field, value in pairs(fields) do
  if #field == LEASE_LENGTH and deadline_of(value) > now_ms then
    charged = charged + tonumber(fields[CHARGED_BY .. field] or '0')
  end
end
if charged > tonumber(budget) then return 'over' end
call('HSET', LEASES_OF .. id, CHARGED_BY .. lease, int(charged_by(id, lease) + tonumber(bytes)))
first_run(call_id)
return 'done'
