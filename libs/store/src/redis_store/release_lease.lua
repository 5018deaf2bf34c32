-- Gives a lease up, if it is still the caller's.
-- KEYS: the lease. ARGV: the holder, the fence.
local held = redis.call('HMGET', KEYS[1], 'holder', 'fence')
if held[1] == ARGV[1] and held[2] == ARGV[2] then redis.call('DEL', KEYS[1]) end
return 1
