-- Which lanes an agent may claim from. A lane is named `<pool>:<topic>:<capability>,<capability>,`
-- (keys.py); the index `lanes` holds those that are not empty, ordered by their bytes. The walk skips along
-- that order as a loose index scan does: from a lane that the agent may not have, it jumps to the next that
-- it might have.
--@include core/shard_keys
--@include tasks/filter

local read_filter, next_candidate = make_filters()

-- Calls `visit(name)` for each lane that the agent may claim from, until it returns true.
local CHUNK = 16

local function each_lane(filter, from, visit)
  while from do
    local names = redis.call("ZRANGEBYLEX", lanes, from, "+", "LIMIT", 0, CHUNK)
    from = #names == CHUNK and "(" .. names[CHUNK] or nil
    local target = nil
    for _, name in ipairs(names) do
      if not (target and is_before(name, target)) then
        target = next_candidate(filter, name)
        if target == "" or (not target and visit(name)) then
          return
        end
      end
    end
    if from and target then
      from = "[" .. target
    end
  end
end
