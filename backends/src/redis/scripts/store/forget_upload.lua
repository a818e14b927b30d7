-- Nothing is left in storage of an upload in parts.
local member = ARGV[1] .. ':' .. ARGV[2]
redis.call('HDEL', P .. 'u', member)
redis.call('ZREM', P .. 'parts', member)
return 'done'
