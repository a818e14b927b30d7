-- Returns multipart uploads whose lease is over, and delays their next look by `retry_ms`. Live ones are looked at again at
-- their deadline. Uploads with an intent are left to recovery.
local retry_ms, max = tonumber(ARGV[1]), tonumber(ARGV[2])
even_when_full()
local due = call('ZRANGEBYSCORE', UPLOADS_BY_LOOK, '-inf', int(now_ms), 'LIMIT', 0, max)
local abandoned = {}
for _, member in ipairs(due) do
  local id, lease = split_lease_member(member)
  local f = call('HMGET', LEASES_OF .. id, lease, INTENT_OF .. lease)
  local deadline = f[1] and deadline_of(f[1]) or 0
  local next_look = now_ms + retry_ms
  if deadline > now_ms then
    next_look = deadline
  elseif not (f[1] and f[2]) then
    abandoned[#abandoned + 1] = {id, lease, call('HGET', UPLOADS, member) or ''}
  end
  call('ZADD', UPLOADS_BY_LOOK, int(next_look), member)
end
return {#due == max and 1 or 0, abandoned}
