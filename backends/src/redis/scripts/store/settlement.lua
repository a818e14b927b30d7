-- What has become of a finalised lease whose holder has lost it.
local id, lease = ARGV[1], ARGV[2]
local counted = redis.call('GET', settled(id, lease))
if counted then return counted end
local f = redis.call('HMGET', P .. 'l:' .. id, lease, 'i' .. lease)
return f[1] and f[2] and 'open' or 'void'
