-- Replaces a record, unless it has changed since the caller read `old`.
local id, old, incarnation, record = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local expire_at, max_hits, callback = ARGV[5], ARGV[6], ARGV[7]
local token = TOKEN .. id
local f = call('HMGET', token, RECORD, INCARNATION, EXPIRE_AT, USED_HITS, UPLOADED_AT)
if not f[1] or is_gone(f[3]) then return {'none'} end
local answer = {'done', f[2], f[4] or '0', f[5] or ''}
if f[2] ~= incarnation then return {'changed'} end
if f[1] == record then return answer end
if f[1] ~= old then return {'changed'} end
call('HSET', token, RECORD, record, EXPIRE_AT, expire_at)
if max_hits == '' then call('HDEL', token, MAX_HITS) else call('HSET', token, MAX_HITS, max_hits) end
if callback == '' then call('HDEL', token, HAS_CALLBACK) else call('HSET', token, HAS_CALLBACK, '1') end
call('ZADD', TOKENS_BY_EXPIRY, expire_at, id)
for _, key in ipairs({TOKEN, LEASES_OF, WINDOWS_OF}) do call('PEXPIREAT', key .. id, dropped_at(expire_at)) end
return answer
