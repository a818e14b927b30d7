-- A token: record, incarnation, spent hits, last upload.
local f = redis.call('HMGET', P .. 't:' .. ARGV[1], 'r', 'i', 'u', 'a', 'x')
if not f[1] or is_gone(f[5]) then return {} end
return {f[1], f[2], f[3] or '0', f[4] or ''}
