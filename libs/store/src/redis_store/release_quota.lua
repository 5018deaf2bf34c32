-- Gives back the unit an upload holds.
-- KEYS: the set of uploads that hold quota. ARGV: the upload, how long to keep, in ms.
if redis.call('SREM', KEYS[1], ARGV[1]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('SCARD', KEYS[1])
