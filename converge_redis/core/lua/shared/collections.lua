-- Reading hashes and sorted sets.

-- Return a hash as a table; nil where it does not exist.
local function read_hash(key)
  local flat = redis.call("HGETALL", key)
  if #flat == 0 then
    return nil
  end
  local fields = {}
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
  end
  return fields
end

-- Return the highest score of a sorted set; 0 where it is empty.
local function last_score(key)
  return tonumber(redis.call("ZREVRANGE", key, 0, 0, "WITHSCORES")[2] or 0)
end
