-- Records a multipart upload with its lease, so that any node can abort it.
local id, lease, fencing_token, upload = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not is_live(id, lease, fencing_token) then return 'lost' end
call('HSET', UPLOADS, lease_member(id, lease), upload)
call('ZADD', UPLOADS_BY_LOOK, int(own_lease(id, lease, fencing_token)), lease_member(id, lease))
return 'held'
