-- Events that wait, dead ones, and for how long the oldest has waited (ms).
local oldest = redis.call('ZRANGE', P .. 'age', 0, 0, 'WITHSCORES')
local age = oldest[2] and math.max(0, now_ms - tonumber(oldest[2])) or 0
return {redis.call('HLEN', P .. 'e'), redis.call('ZCARD', P .. 'dead'), age}
