-- Deletes what is over in one partition, at most `max` entries of each kind. Returns whether there is more, the
-- uploads to recover, and the nodes that have open events.
local lease_ms, max = tonumber(ARGV[1]), tonumber(ARGV[2])
local keep_dead_ms, max_dead = tonumber(ARGV[3]), tonumber(ARGV[4])
even_when_full()
local expired_before = int(now - EXPIRED_TOKEN_KEPT_SECONDS)
local expired = call('ZRANGEBYSCORE', TOKENS_BY_EXPIRY, '-inf', expired_before, 'LIMIT', 0, max)
for _, id in ipairs(expired) do
  local record = call('HGET', TOKEN .. id, RECORD)
  if record then
    delete_token(id, record)
  else
    call('ZREM', TOKENS_BY_EXPIRY, id)
    call('ZREM', TOKENS, id)
  end
end
local unsettled = {}
local lapsed = call('ZRANGEBYSCORE', LEASES_BY_DEADLINE, '-inf', int(now_ms), 'LIMIT', 0, max)
for _, member in ipairs(lapsed) do
  local id, lease = split_lease_member(member)
  local f = call('HMGET', LEASES_OF .. id, lease, INTENT_OF .. lease)
  local token = call('HMGET', TOKEN .. id, RECORD, INCARNATION)
  if f[1] and f[2] and token[1] then
    -- The upload's object may be visible. The caller takes the lease over and finds out.
    local fencing_token = int(tonumber(fencing_token_of(f[1])) + 1)
    put_lease(id, lease, now_ms + lease_ms, fencing_token)
    local upload = call('HGET', UPLOADS, member) or ''
    unsettled[#unsettled + 1] = {id, token[1], token[2], lease, fencing_token, f[2], upload}
  else
    delete_lease(id, lease)
  end
end
local function delete_dead_letters(events)
  for _, event in ipairs(events) do
    for _, index in ipairs({DEAD_LETTERS_BY_AGE, DEAD_LETTERS_BY_DEATH}) do call('ZREM', index, event) end
    for _, hash in ipairs({DEAD_LETTERS, EVENT_ATTEMPTS}) do call('HDEL', hash, event) end
  end
end
if keep_dead_ms > 0 then
  local dead_before = int(now_ms - keep_dead_ms)
  delete_dead_letters(call('ZRANGEBYSCORE', DEAD_LETTERS_BY_DEATH, '-inf', dead_before, 'LIMIT', 0, max))
end
local excess = math.min(call('ZCARD', DEAD_LETTERS_BY_AGE) - max_dead, max)
if excess > 0 then delete_dead_letters(call('ZRANGE', DEAD_LETTERS_BY_AGE, 0, excess - 1)) end
local more = (#expired == max or #lapsed == max) and 1 or 0
return {more, unsettled, call('SMEMBERS', NODES_WITH_OPEN_EVENTS)}
