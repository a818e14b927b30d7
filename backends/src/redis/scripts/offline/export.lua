-- Returns a page of one kind of entries: where the next page begins (empty: this was the last), and the rows.
-- No node writes during an export.
local kind, from, max = ARGV[1], ARGV[2], tonumber(ARGV[3])
local rows = {}

if kind == 'token' then
  local ids = call('ZRANGEBYLEX', TOKENS, from == '' and '-' or '(' .. from, '+', 'LIMIT', 0, max)
  for _, id in ipairs(ids) do
    local f = call('HMGET', TOKEN .. id, RECORD, INCARNATION, USED_HITS, CHARGED_BYTES, UPLOADED_AT, HIT_WINDOW)
    -- Redis may have removed the token before a sweep did.
    if f[1] then
      local windows = f[6] and call('ZRANGE', WINDOWS_OF .. id, 0, -1, 'WITHSCORES') or {}
      rows[#rows + 1] = {id, f[1], f[2], f[3] or '0', f[4] or '0', f[5] or '', windows}
    end
  end
  return {#ids == max and ids[#ids] or '', rows}
end

if kind == 'download' then
  for _, node in ipairs(call('SMEMBERS', NODES_WITH_OPEN_EVENTS)) do
    local open = call('HGETALL', OPEN_EVENTS_OF .. node)
    for n = 1, #open, 2 do rows[#rows + 1] = {open[n], open[n + 1]} end
  end
  return {'', rows}
end

local indexes = {
  finalising = LEASES_BY_DEADLINE, upload = UPLOADS_BY_LOOK, pending = EVENTS_BY_AGE, dead = DEAD_LETTERS_BY_AGE,
}
local first = tonumber(from) or 0
local members = call('ZRANGE', indexes[kind], first, first + max - 1)
for _, member in ipairs(members) do
  local id, lease = split_lease_member(member)
  if kind == 'finalising' then
    local f = call('HMGET', LEASES_OF .. id, lease, INTENT_OF .. lease)
    if f[1] and f[2] then rows[#rows + 1] = {id, lease, fencing_token_of(f[1]), f[2]} end
  elseif kind == 'upload' then
    local upload = call('HGET', UPLOADS, member)
    if upload then rows[#rows + 1] = {id, lease, upload} end
  else
    local value = call('HGET', kind == 'dead' and DEAD_LETTERS or EVENTS, member)
    local attempts = call('HGET', EVENT_ATTEMPTS, member) or ''
    local due = call('HGET', EVENT_DUE_AT, member) or '0'
    if value then rows[#rows + 1] = {member, value, attempts, due} end
  end
end
return {#members == max and int(first + max) or '', rows}
