-- Applies a batch of changes, if it has not been applied before.
-- KEYS: the batch; the gauges; then each bucket.
-- ARGV: how long to remember the batch, in ms; the digest of its contents; for each bucket how long to keep it in ms, the
-- number of its fields, and each field and its increase; then for each gauge its name, value and
-- time in ms.
local known = redis.call('GET', KEYS[1])
if known then return known == ARGV[2] and 'duplicate' or 'reused' end

local COUNT_MAX = 9e18 -- Just under what HINCRBY can hold.
local adds, sets = {}, {}
local at = 3
for k = 3, #KEYS do
  local fields = tonumber(ARGV[at + 1])
  local bucket = {key = KEYS[k], keep = ARGV[at], fields = {}}
  at = at + 2
  for _ = 1, fields do
    local before = tonumber(redis.call('HGET', KEYS[k], ARGV[at]) or '0')
    if not before or before + tonumber(ARGV[at + 1]) > COUNT_MAX then
      return redis.error_reply('ERR count out of range in ' .. KEYS[k])
    end
    bucket.fields[#bucket.fields + 1] = {ARGV[at], ARGV[at + 1]}
    at = at + 2
  end
  adds[#adds + 1] = bucket
end
for i = at, #ARGV, 3 do
  local known = redis.call('HGET', KEYS[2], ARGV[i])
  local newer = true
  if known then
    local time, value = string.match(known, '^(%-?%d+) (%-?%d+)$')
    if not time then return redis.error_reply('ERR not a gauge in ' .. KEYS[2]) end
    time, value = tonumber(time), tonumber(value)
    local new_time, new_value = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 1])
    newer = new_time > time or (new_time == time and new_value > value)
  end
  if newer then sets[#sets + 1] = {ARGV[i], ARGV[i + 2] .. ' ' .. ARGV[i + 1]} end
end

redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
for _, bucket in ipairs(adds) do
  for _, field in ipairs(bucket.fields) do
    redis.call('HINCRBY', bucket.key, field[1], field[2])
  end
  if redis.call('PTTL', bucket.key) < tonumber(bucket.keep) then
    redis.call('PEXPIRE', bucket.key, bucket.keep)
  end
end
for _, gauge in ipairs(sets) do
  redis.call('HSET', KEYS[2], gauge[1], gauge[2])
end
return 'counted'
