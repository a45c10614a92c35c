-- What an agent may have: lists of pools, topics and capabilities, encoded as in lane names.
--@include tasks/byte_order

-- Most scripts need none of it, and each function that is made costs them time: so it is made on demand.
-- Returns two functions: read_filter, obstacle.
local function make_filters()
  -- Reads one list of the filter: a count (-1: no filter), then the values in index order.
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

  -- Reads a filter that begins at `parts[first]`.
  local function read_filter(parts, first)
    local filter = {}
    filter.pools, first = read_list(parts, first)
    filter.topics, first = read_list(parts, first)
    filter.capabilities = read_list(parts, first)
    return filter
  end

  -- The start of what follows everything that begins with `prefix`, whose last byte is a separator.
  local SUCCESSOR = { [":"] = ";", [","] = "-" }

  local function after_prefix(prefix)
    return string.sub(prefix, 1, -2) .. SUCCESSOR[string.sub(prefix, -1)]
  end

  -- The first of the list's values that comes after `value` in the index of lanes: a binary search.
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

  -- Where the walk goes from a value that the list does not have: to the next one in it, else past all.
  local function skip_to(list, value, separator, prefix)
    local candidate = upper_bound(list, value, separator)
    if candidate then
      return prefix .. candidate .. separator
    end
    return prefix == "" and "" or after_prefix(prefix)
  end

  -- Returns nil for a lane that the agent may claim from, else the place to go on from ("": there is none).
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

  return read_filter, next_candidate
end
