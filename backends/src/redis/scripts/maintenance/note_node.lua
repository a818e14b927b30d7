-- Notes that a node uses the store; exports and imports refuse to begin while one does.
local node, ttl_ms = ARGV[1], tonumber(ARGV[2])
call('ZREMRANGEBYSCORE', NODES, '-inf', int(now_ms))
call('ZADD', NODES, int(now_ms + ttl_ms), node)
return 1
