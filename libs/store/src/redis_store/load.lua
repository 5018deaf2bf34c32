-- Carries out commands on keys of one slot, one after the other.
-- KEYS: the keys. ARGV: for each command the number of its words, then the words.
local at = 1
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, last))
  at = last + 1
end
return 'loaded'
