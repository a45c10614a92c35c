-- The filter of a claim: lists of pools, topics and capabilities, encoded as in lane names.
--@include tasks/byte_order

-- Read one list: a count (-1: no filter), then the values, in the order that they have in the index of lanes.
-- Returns the list (nil: no filter), and the position after it.
local function read_list(parts, first)
  local size = tonumber(parts[first])
  if size < 0 then
    return nil, first + 1
  end
  local list = { has = {} }
  for i = 1, size do
    list[i] = parts[first + i]
    list.has[list[i]] = true
  end
  return list, first + size + 1
end

-- Read a filter that begins at `parts[first]`.
local function read_filter(parts, first)
  local filter = {}
  filter.pools, first = read_list(parts, first)
  filter.topics, first = read_list(parts, first)
  filter.capabilities = read_list(parts, first)
  return filter
end

local NEXT_BYTE = { [":"] = ";", [","] = "-" }

-- Return the smallest text that comes after all texts with a prefix. The last byte of the prefix is a
-- separator.
local function after_prefix(prefix)
  return string.sub(prefix, 1, -2) .. NEXT_BYTE[string.sub(prefix, -1)]
end

-- Return the first value of a list that comes after `value` in the index of lanes: a binary search.
local function upper_bound(list, value, separator)
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

-- Return where the walk goes on from a value that is not in the list: at the next value that is, else after
-- the prefix ("": at the end).
local function skip_to(list, value, separator, prefix)
  local candidate = upper_bound(list, value, separator)
  if candidate then
    return prefix .. candidate .. separator
  end
  return prefix == "" and "" or after_prefix(prefix)
end

-- Return nil for a lane that matches the filter, else where the next lane that may match begins ("": there is
-- none).
local function next_candidate(filter, name)
  local pool, topic, capabilities = string.match(name, "^(.-):(.-):(.*)$")
  local prefix = pool .. ":"
  if filter.pools and not filter.pools.has[pool] then
    return skip_to(filter.pools, pool, ":", "")
  end
  if filter.topics and not filter.topics.has[topic] then
    return skip_to(filter.topics, topic, ":", prefix)
  end
  if filter.capabilities then
    prefix = prefix .. topic .. ":"
    for capability in string.gmatch(capabilities, "([^,]*),") do
      if not filter.capabilities.has[capability] then
        return skip_to(filter.capabilities, capability, ",", prefix)
      end
      prefix = prefix .. capability .. ","
    end
  end
  return nil
end
