-- What an agent may have: lists of pools, topics and capabilities from ARGV, encoded as in lane names.

-- Reads one list of the filter: a count (-1: no filter), then the values in index order.
local function read_list(first)
  local size = tonumber(ARGV[first])
  if size < 0 then
    return nil, first + 1
  end
  local list = { has = {} }
  for i = 1, size do
    list[i] = ARGV[first + i]
    list.has[list[i]] = true
  end
  return list, first + size + 1
end

local function read_filter(first)
  local pools, topics, capabilities
  pools, first = read_list(first)
  topics, first = read_list(first)
  capabilities, first = read_list(first)
  return { pools = pools, topics = topics, capabilities = capabilities }, first
end
