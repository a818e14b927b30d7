-- Puts a changed record in the place of the one that the change was made from.
local id, old, incarnation, record = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local expire_at, max, callback = ARGV[5], ARGV[6], ARGV[7]
local token = P .. 't:' .. id
local f = redis.call('HMGET', token, 'r', 'i', 'x', 'u', 'a')
if not f[1] or is_gone(f[3]) then return {'none'} end
local answer = {'done', f[2], f[4] or '0', f[5] or ''}
if f[2] ~= incarnation then return {'changed'} end
if f[1] == record then return answer end
if f[1] ~= old then return {'changed'} end
redis.call('HSET', token, 'r', record, 'x', expire_at)
if max == '' then redis.call('HDEL', token, 'n') else redis.call('HSET', token, 'n', max) end
if callback == '' then redis.call('HDEL', token, 'cb') else redis.call('HSET', token, 'cb', '1') end
redis.call('ZADD', P .. 'x', expire_at, id)
for _, key in ipairs({token, P .. 'l:' .. id, P .. 'w:' .. id}) do
  redis.call('PEXPIREAT', key, dropped_at(expire_at))
end
return answer
