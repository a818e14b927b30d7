-- Deletes the entry of a multipart upload that storage no longer has.
local member = lease_member(ARGV[1], ARGV[2])
call('HDEL', UPLOADS, member)
call('ZREM', UPLOADS_BY_LOOK, member)
return 'done'
