-- Takes one unit of a quota, unless the upload holds one or none is left.
-- KEYS: the set of uploads that hold quota. ARGV: the upload, the limit, how long to keep, in ms.
local used = redis.call('SCARD', KEYS[1])
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return {1, used} end
if used >= tonumber(ARGV[2]) then return {0, used} end
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {1, used + 1}
