#!lua flags=allow-oom
-- Appends records to a stream, if it ends where the caller believes. Also where Redis is out of
-- memory: a kill must be stored then, and events are few.
-- KEYS: the stream; the request's answer.
-- ARGV: expected version; hash of the record there; digest of the request, or ''; how long to
-- keep its answer, in ms; then for each record its bytes and its hash.
local digest = ARGV[3]
if digest ~= '' then
  local answer = redis.call('HMGET', KEYS[2], 'digest', 'first', 'count')
  if answer[1] then
    if answer[1] ~= digest then return {'reused'} end
    return {'repeated', answer[2], answer[3]}
  end
end

local head, hash = '0', ''
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last then
  head = string.match(last[1], '^(%d+)%-0$')
  if not head then return {'foreign', last[1]} end
  for i = 1, #last[2], 2 do
    if last[2][i] == 'hash' then hash = last[2][i + 1] end
  end
end
if head ~= ARGV[1] then return {'conflict', head} end
if hash ~= ARGV[2] then return {'diverged', head} end

local version = tonumber(head)
for i = 5, #ARGV, 2 do
  version = version + 1
  local id = string.format('%.0f-0', version)
  redis.call('XADD', KEYS[1], id, 'record', ARGV[i], 'hash', ARGV[i + 1])
end
if digest ~= '' then
  redis.call('HSET', KEYS[2], 'digest', digest,
    'first', string.format('%.0f', tonumber(head) + 1), 'count', (#ARGV - 4) / 2)
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
return {'appended'}
