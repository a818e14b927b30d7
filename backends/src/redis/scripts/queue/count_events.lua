-- Returns the number of pending events and of dead letters, and the age of the oldest pending event (ms).
local oldest = call('ZRANGE', EVENTS_BY_AGE, 0, 0, 'WITHSCORES')
local age = oldest[2] and math.max(0, now_ms - tonumber(oldest[2])) or 0
return {call('HLEN', EVENTS), call('ZCARD', DEAD_LETTERS_BY_AGE), age}
