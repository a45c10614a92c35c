-- Which lanes an agent may claim from. A lane is named `<pool>:<topic>:<capability>,<capability>,`
-- (keys.py); the index `lanes` holds those that are not empty, ordered by their bytes. The walk skips along
-- that order as a loose index scan does: from a lane that the agent may not have, it jumps to the next that
-- it might have.
--@include shared/shard
--@include shared/filter
--@include shared/order

-- The first of the list's values that comes after `value` in the index: a binary search.
local function next_in(list, value, separator)
  local low, high = 1, #list + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(value .. separator, list[middle] .. separator) then
      high = middle
    else
      low = middle + 1
    end
  end
  return list[low]
end

-- The start of what follows everything that begins with `prefix`, whose last byte is a separator.
local AFTER = { [":"] = ";", [","] = "-" }

local function past(prefix)
  return string.sub(prefix, 1, -2) .. AFTER[string.sub(prefix, -1)]
end

-- Where the walk goes from a value that the list does not have: to the next one in it, else past the prefix.
local function jump(list, value, separator, prefix)
  local candidate = next_in(list, value, separator)
  if candidate then
    return prefix .. candidate .. separator
  end
  return prefix == "" and "" or past(prefix)
end

-- Returns nil for a lane that the agent may claim from, else the place to go on from ("": there is none).
local function obstacle(filter, name)
  local pool, topic, capabilities = string.match(name, "^(.-):(.-):(.*)$")
  local prefix = pool .. ":"
  if filter.pools and not filter.pools.has[pool] then
    return jump(filter.pools, pool, ":", "")
  end
  if filter.topics and not filter.topics.has[topic] then
    return jump(filter.topics, topic, ":", prefix)
  end
  if filter.capabilities then
    prefix = prefix .. topic .. ":"
    for capability in string.gmatch(capabilities, "([^,]*),") do
      if not filter.capabilities.has[capability] then
        return jump(filter.capabilities, capability, ",", prefix)
      end
      prefix = prefix .. capability .. ","
    end
  end
  return nil
end

-- Calls `visit(name)` for each lane that the agent may claim from, until it returns true.
local CHUNK = 16

local function each_lane(filter, from, visit)
  while from do
    local names = redis.call("ZRANGEBYLEX", lanes, from, "+", "LIMIT", 0, CHUNK)
    from = #names == CHUNK and "(" .. names[CHUNK] or nil
    local skip_to = nil
    for _, name in ipairs(names) do
      if not (skip_to and is_before(name, skip_to)) then
        skip_to = obstacle(filter, name)
        if skip_to == "" or (not skip_to and visit(name)) then
          return
        end
      end
    end
    if from and skip_to then
      from = "[" .. skip_to
    end
  end
end
