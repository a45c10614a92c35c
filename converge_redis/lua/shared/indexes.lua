-- The indexes. A task is in exactly the indexes that its state demands:
--   pending            its lane, or `delayed` until it is due
--   assigned, running  `leases` and the agent's `claims`
--   completed, failed, cancelled   `finished`
-- and in `deadlines` as long as it is not terminal and has one.
--@include shared/record
--@include shared/waiting

local function is_claimed(record)
  return record.state == "assigned" or record.state == "running"
end

local function is_terminal(record)
  return record.state == "completed" or record.state == "failed" or record.state == "cancelled"
end

local function enter_lane(id, record)
  redis.call("ZADD", lane_prefix .. record.lane, int(0 - tonumber(record.priority)), id)
  redis.call("ZADD", lanes, 0, record.lane)
  wake(record.lane)
end

local function leave_lane(id, record)
  local lane = lane_prefix .. record.lane
  redis.call("ZREM", lane, id)
  if redis.call("EXISTS", lane) == 0 then
    redis.call("ZREM", lanes, record.lane)
  end
end

-- Takes a task out of the indexes of its present state.
local function leave(id, record)
  redis.call("HINCRBY", counts, record.state, -1)
  if is_claimed(record) then
    redis.call("ZREM", leases, id)
    redis.call("ZREM", claims .. record.agent, id)
  elseif is_terminal(record) then
    redis.call("ZREM", finished, id)
  elseif record.due then
    redis.call("ZREM", delayed, id)
    drop(id, record, { "due" })
  else
    leave_lane(id, record)
  end
end
