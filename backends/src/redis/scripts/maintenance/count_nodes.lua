-- How many nodes have shown lately that they use the store.
return redis.call('ZCOUNT', P .. 'nodes', '(' .. int(now_ms), '+inf')
