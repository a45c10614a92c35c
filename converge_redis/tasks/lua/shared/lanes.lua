-- The lanes that match a filter. A lane is named `<pool>:<topic>:<capability>,<capability>,` (core/keys.py).
-- The index `lanes` holds the names of the lanes that are not empty, in the order of their bytes. The walk is
-- a loose index scan: from a lane that does not match, it skips to the next name that may match.
--@include core/shard_keys
--@include tasks/filter

local LANES_PER_READ = 16

-- Call `visit(name)` for each matching lane from `start` on, until it returns true.
local function each_lane(filter, start, visit)
  while start do
    local names = redis.call("ZRANGEBYLEX", lanes, start, "+", "LIMIT", 0, LANES_PER_READ)
    start = #names == LANES_PER_READ and "(" .. names[LANES_PER_READ] or nil
    local candidate = nil
    for _, name in ipairs(names) do
      if not (candidate and is_before(name, candidate)) then
        candidate = next_candidate(filter, name)
        if candidate == "" or (not candidate and visit(name)) then
          return
        end
      end
    end
    if start and candidate then
      start = "[" .. candidate
    end
  end
end
