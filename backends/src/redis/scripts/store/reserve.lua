-- Decides about an access and counts or leases its hit.
local id, access, declared, checked = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease_ms, client, call = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local owner, event, caller, queue_full = ARGV[8], ARGV[9], ARGV[10], ARGV[11] == '1'
local unwritten, unwritten_of = tonumber(ARGV[12]), ARGV[13]
local most_windows, most_of_address = tonumber(ARGV[14]), tonumber(ARGV[15])
local most_ridden = tonumber(ARGV[16])

-- Whether a token can have one more window; those that are over, and what is known of them, go.
local function has_room_for_window(windows, client)
  redis.call('ZREMRANGEBYSCORE', windows, '-inf', int(now_ms))
  local open, of_address, ridden = 0, 0, 0
  local address = string.sub(client, 1, 16)
  -- There are never many.
  for _, member in ipairs(redis.call('ZRANGE', windows, 0, -1)) do
    if #member ~= 32 then
      ridden = ridden + 1
    else
      open = open + 1
      if string.sub(member, 1, 16) == address then of_address = of_address + 1 end
    end
  end
  return open < most_windows and of_address < most_of_address and ridden < most_ridden
end

local token = P .. 't:' .. id
local f = redis.call('HMGET', token, 'r', 'i', 'x', 'm', 'n', 'z', 'k', 'w', 'c', 'cb', 'u')
local record, incarnation, expire_at, method, max = f[1], f[2], f[3], f[4], f[5]
local size, rules, window, complete, callback = f[6], f[7], f[8], f[9], f[10]
if not record or is_gone(expire_at) then return {'not_found'} end

local leased = access == 'PUT' or (complete and max)
local until_ms = 0
local before = (leased or max or window or callback) and redis.call('GET', P .. 'q:' .. call)
if before == 'undone' then return {'hits'} end
-- The same call again: it was counted, and is answered as it was.
if leased then
  if redis.call('HEXISTS', P .. 'l:' .. id, call) == 1 then
    return {'leased', record, incarnation, '', 1}
  end
elseif max or window then
  if before then return {'counted', record, incarnation, string.sub(before, 18), 1} end
end

if now >= tonumber(expire_at) then return {'expired'} end
if method ~= access then return {'method', method} end
if rules and checked ~= incarnation then return {'rules', record, incarnation} end
if size and access == 'PUT' and declared ~= '' and tonumber(declared) > tonumber(size) then
  return {'size', size}
end

local hold = 'batched'
-- Hits of the token's unlimited time that its node has not written yet.
local used = tonumber(f[11] or '0')
if unwritten_of == incarnation then used = math.max(0, used + unwritten) end
local windows = P .. 'w:' .. id
if leased then
  hold = 'leased'
  if max then
    local held = 0
    local all = redis.call('HGETALL', P .. 'l:' .. id)
    local intents = {}
    for n = 1, #all, 2 do
      if string.sub(all[n], 1, 1) == 'i' then intents[string.sub(all[n], 2)] = true end
    end
    for n = 1, #all, 2 do
      local lease = all[n]
      if #lease == 16 then
        if not intents[lease] and tonumber(string.match(all[n + 1], '^%d+')) <= now_ms then
          drop_lease(id, lease)
        else
          held = held + 1
        end
      end
    end
    if used + held >= tonumber(max) then return {'hits'} end
  end
elseif max or window then
  hold = 'counted'
  local open = window and redis.call('ZSCORE', windows, client)
  if open and tonumber(open) > now_ms then
    hold = 'riding'
    until_ms = open
  elseif max and used >= tonumber(max) then
    return {'hits'}
  end
end
if callback and queue_full then return {'full'} end

local counted = ''
if hold == 'leased' then
  put_lease(id, call, now_ms + lease_ms, '0')
  redis.call('PEXPIREAT', P .. 'l:' .. id, dropped_at(expire_at))
elseif hold == 'riding' then
  -- From now on the hit cannot be given back.
  redis.call('ZADD', windows, int(tonumber(until_ms) + RIDDEN_MS), ridden(client, until_ms))
elseif hold == 'counted' then
  redis.call('HINCRBY', token, 'u', 1)
  if window and has_room_for_window(windows, client) then
    counted = int(now_ms + tonumber(window) * 1000)
    redis.call('ZADD', windows, counted, client)
    redis.call('PEXPIREAT', windows, dropped_at(expire_at))
  end
  redis.call('SET', P .. 'q:' .. call, incarnation .. ':' .. counted, 'PX', REMEMBER_MS)
end
local wrote = hold == 'batched' and 0 or 1
if callback and access == 'GET' then
  wrote = 1
  redis.call('SADD', P .. 'owners', owner)
  redis.call('HSET', P .. 'o:' .. owner, event, event_tail(id, cjson.decode(record), caller))
end
return {hold, record, incarnation, counted, wrote}
