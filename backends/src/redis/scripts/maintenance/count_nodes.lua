-- Returns how many nodes use the store.
return call('ZCOUNT', NODES, '(' .. int(now_ms), '+inf')
