-- The access happened: spends a leased hit and queues the event. With `claim_ms` the event of an
-- upload is the caller's for so long; then the third word of the answer is its value.
local id, lease, turn, owner = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local open, queued_as, report, sent, call = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local claim_ms = tonumber(ARGV[10])
local queued = false
even_when_full()
local function claimed()
  return claim_ms > 0 and redis.call('HGET', P .. 'e', queued_as) or ''
end
if lease ~= '' then
  if redis.call('EXISTS', P .. 'q:' .. call) == 1 then return {'held', 0, claimed()} end
  if not live_lease(id, lease, turn) then
    if open ~= '' then close_entry(owner, open, '', '') end
    return {'lost', 0, ''}
  end
  local token = P .. 't:' .. id
  local intent = redis.call('HGET', P .. 'l:' .. id, 'i' .. lease)
  local charged = charged_by(id, lease)
  if charged > 0 then redis.call('HINCRBY', token, 'b', int(charged)) end
  drop_lease(id, lease)
  redis.call('HINCRBY', token, 'u', 1)
  first_run(call)
  if intent then
    -- Whoever made the object visible may have lost the lease, or the answer, and ask.
    local told_ms = turn == '0' and 300000 or GRACE * 1000
    redis.call('SET', settled(id, lease), 'counted', 'PX', told_ms)
    redis.call('HSET', token, 'a', int(now))
    if redis.call('HDEL', P .. 'u', id .. ':' .. lease) == 1 then
      redis.call('ZREM', P .. 'parts', id .. ':' .. lease)
    end
    local record = cjson.decode(redis.call('HGET', token, 'r'))
    if record.callback then
      local caller = cjson.encode(cjson.decode(intent).caller)
      queue_event(queued_as, report, event_tail(id, record, caller), claim_ms)
      queued = true
    end
  end
end
if open ~= '' then
  queued = close_entry(owner, open, sent == '1' and report or '', queued_as) or queued
end
return {'held', queued and 1 or 0, claimed()}
