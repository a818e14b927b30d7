-- Deletes a token, or only this incarnation of it. Returns 1 where the token was there.
local id, incarnation, call_id = ARGV[1], ARGV[2], ARGV[3]
local f = call('HMGET', TOKEN .. id, RECORD, INCARNATION, EXPIRE_AT)
if not f[1] then
  -- This call may have run before, and deleted the token then.
  return call('EXISTS', CALL_ID .. call_id)
end
if incarnation ~= '' and f[2] ~= incarnation then return 0 end
delete_token(id, f[1])
if is_gone(f[3]) then return 0 end
first_run(call_id)
return 1
