-- Returns a token: record, incarnation, used hits, last upload.
local f = call('HMGET', TOKEN .. ARGV[1], RECORD, INCARNATION, USED_HITS, UPLOADED_AT, EXPIRE_AT)
if not f[1] or is_gone(f[5]) then return {} end
return {f[1], f[2], f[3] or '0', f[4] or ''}
