-- Commits an access: spends a leased hit and queues the event. With `claim_ms` the caller has claimed an upload's
-- event for that long, and the third item of the reply is its value.
local id, lease, fencing_token, node = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local open, queued_as, report, is_reported, call_id = ARGV[5], ARGV[6], ARGV[7], ARGV[8] == '1', ARGV[9]
local claim_ms = tonumber(ARGV[10])
local queued = false
even_when_full()
local function claimed_event()
  return claim_ms > 0 and call('HGET', EVENTS, queued_as) or ''
end
if lease ~= '' then
  if call('EXISTS', CALL_ID .. call_id) == 1 then return {'held', 0, claimed_event()} end
  if not is_live(id, lease, fencing_token) then
    if open ~= '' then close_event(node, open, '', '') end
    return {'lost', 0, ''}
  end
  local token = TOKEN .. id
  local intent = call('HGET', LEASES_OF .. id, INTENT_OF .. lease)
  local charged = charged_by(id, lease)
  if charged > 0 then call('HINCRBY', token, CHARGED_BYTES, int(charged)) end
  delete_lease(id, lease)
  call('HINCRBY', token, USED_HITS, 1)
  first_run(call_id)
  if intent then
    -- The node that made the object visible may have lost the lease or this reply, and asks with `settlement`.
    local ttl_ms = fencing_token == '0' and SETTLEMENT_TTL_MS or RECOVERED_SETTLEMENT_TTL_MS
    call('SET', SETTLEMENT_OF .. lease_member(id, lease), 'counted', 'PX', ttl_ms)
    call('HSET', token, UPLOADED_AT, int(now))
    if call('HDEL', UPLOADS, lease_member(id, lease)) == 1 then
      call('ZREM', UPLOADS_BY_LOOK, lease_member(id, lease))
    end
    local record = cjson.decode(call('HGET', token, RECORD))
    if record.callback then
      local caller = cjson.encode(cjson.decode(intent).caller)
      queue_event(queued_as, report, event_tail(id, record, caller), claim_ms)
      queued = true
    end
  end
end
if open ~= '' then
  queued = close_event(node, open, is_reported and report or '', queued_as) or queued
end
return {'held', queued and 1 or 0, claimed_event()}
