-- Notes that a node uses the store, for whoever has to know that none does.
local node, alive_ms = ARGV[1], tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', P .. 'nodes', '-inf', int(now_ms))
redis.call('ZADD', P .. 'nodes', int(now_ms + alive_ms), node)
return 1
