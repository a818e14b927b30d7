-- Returns an index's members from `from` to `to`, each with its token where that is there.
local index, from, to, max = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local rows = {}
for _, member in ipairs(call('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, max)) do
  local id = string.sub(member, -TOKEN_ID_LENGTH)
  local f = call('HMGET', TOKEN .. id, RECORD, INCARNATION, USED_HITS, UPLOADED_AT, EXPIRE_AT)
  if not f[1] then
    -- Redis has removed the token before a sweep did.
    call('ZREM', index, member)
    rows[#rows + 1] = {member}
  elseif is_gone(f[5]) then
    rows[#rows + 1] = {member}
  else
    rows[#rows + 1] = {member, f[1], f[2], f[3] or '0', f[4] or ''}
  end
end
return {int(now), rows}
