-- Decides about an access and counts or leases its hit. The last item of the reply is 1 where something was written.
local id, access, declared_size, rules_checked = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease_ms, client, call_id = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local node, event, caller, queue_full = ARGV[8], ARGV[9], ARGV[10], ARGV[11] == '1'
-- Hits of one incarnation that the caller's node has not written yet.
local buffered_hits, buffered_incarnation = tonumber(ARGV[12]), ARGV[13]

-- Deletes windows and rides that are over; false where the token or the address has as many as it may.
local function may_open_window(windows, client)
  call('ZREMRANGEBYSCORE', windows, '-inf', int(now_ms))
  local open, of_address, ridden = 0, 0, 0
  local address = string.sub(client, 1, CLIENT_ADDRESS_LENGTH)
  for _, member in ipairs(call('ZRANGE', windows, 0, -1)) do
    if #member ~= CLIENT_LENGTH then
      ridden = ridden + 1
    else
      open = open + 1
      if string.sub(member, 1, CLIENT_ADDRESS_LENGTH) == address then of_address = of_address + 1 end
    end
  end
  return open < MAX_WINDOWS_PER_TOKEN and of_address < MAX_WINDOWS_PER_ADDRESS and ridden < MAX_RIDDEN_WINDOWS
end

local token = TOKEN .. id
local f = call('HMGET', token, RECORD, INCARNATION, EXPIRE_AT, METHOD, MAX_HITS, MAX_SIZE, HAS_RULES, HIT_WINDOW,
  HIT_ON_COMPLETE, HAS_CALLBACK, USED_HITS)
local record, incarnation, expire_at, method, max_hits = f[1], f[2], f[3], f[4], f[5]
local max_size, rules, window, on_complete, callback = f[6], f[7], f[8], f[9], f[10]
if not record or is_gone(expire_at) then return {'not_found'} end

local is_leased = access == 'PUT' or (on_complete and max_hits)
local until_ms = 0
local before = (is_leased or max_hits or window or callback) and call('GET', CALL_ID .. call_id)
if before == 'undone' then return {'hits'} end
-- A call that has run before is answered as it was then.
if is_leased then
  if call('HEXISTS', LEASES_OF .. id, call_id) == 1 then
    return {'leased', record, incarnation, '', 1}
  end
elseif (max_hits or window) and before then
  return {'counted', record, incarnation, string.sub(before, LEASE_LENGTH + 2), 1}
end

if now >= tonumber(expire_at) then return {'expired'} end
if method ~= access then return {'method', method} end
if rules and rules_checked ~= incarnation then return {'rules', record, incarnation} end
if max_size and access == 'PUT' and declared_size ~= '' and tonumber(declared_size) > tonumber(max_size) then
  return {'size', max_size}
end

local hold = 'batched'
local used = tonumber(f[11] or '0')
if buffered_incarnation == incarnation then used = math.max(0, used + buffered_hits) end
local windows = WINDOWS_OF .. id
if is_leased then
  hold = 'leased'
  if max_hits then
    local leased = 0
    local all = call('HGETALL', LEASES_OF .. id)
    local intents = {}
    for n = 1, #all, 2 do
      if string.sub(all[n], 1, 1) == INTENT_OF then intents[string.sub(all[n], 2)] = true end
    end
    for n = 1, #all, 2 do
      local lease = all[n]
      if #lease == LEASE_LENGTH then
        if not intents[lease] and deadline_of(all[n + 1]) <= now_ms then
          delete_lease(id, lease)
        else
          leased = leased + 1
        end
      end
    end
    if used + leased >= tonumber(max_hits) then return {'hits'} end
  end
elseif max_hits or window then
  hold = 'counted'
  local open = window and call('ZSCORE', windows, client)
  if open and tonumber(open) > now_ms then
    hold = 'riding'
    until_ms = open
  elseif max_hits and used >= tonumber(max_hits) then
    return {'hits'}
  end
end
if callback and queue_full then return {'full'} end

local window_end = ''
if hold == 'leased' then
  put_lease(id, call_id, now_ms + lease_ms, '0')
  call('PEXPIREAT', LEASES_OF .. id, dropped_at(expire_at))
elseif hold == 'riding' then
  -- A hit that somebody rides on is not released.
  call('ZADD', windows, int(tonumber(until_ms) + RIDE_TTL_MS), ride_member(client, until_ms))
elseif hold == 'counted' then
  call('HINCRBY', token, USED_HITS, 1)
  if window and may_open_window(windows, client) then
    window_end = int(now_ms + tonumber(window) * 1000)
    call('ZADD', windows, window_end, client)
    call('PEXPIREAT', windows, dropped_at(expire_at))
  end
  call('SET', CALL_ID .. call_id, incarnation .. ':' .. window_end, 'PX', CALL_ID_TTL_MS)
end
local wrote = hold == 'batched' and 0 or 1
if callback and access == 'GET' then
  wrote = 1
  call('SADD', NODES_WITH_OPEN_EVENTS, node)
  call('HSET', OPEN_EVENTS_OF .. node, event, event_tail(id, cjson.decode(record), caller))
end
return {hold, record, incarnation, window_end, wrote}
