-- The indexes of tasks. A task is in exactly the indexes that its state requires:
--   pending                        its lane, or `delayed` until it is due
--   assigned, running              `leases`, and `claims:` of the agent
--   completed, failed, cancelled   `finished`
-- and in `deadlines` while it has a deadline and is not terminal. A script that changes many tasks uses one
-- command per index: `ids` are id, id, …; `entries` are score, id, score, id, …
--@include tasks/record_update
--@include tasks/wake_claimer

local function is_claimed(record)
  return record.state == "assigned" or record.state == "running"
end

local function count(state, number)
  redis.call("HINCRBY", counts, state, number)
end

local function enter_lane(name, entries)
  local lane = lane_prefix .. name
  redis.call("ZADD", lane, unpack(entries))
  if redis.call("ZCARD", lane) <= #entries / 2 then -- it was empty
    redis.call("ZADD", lanes, 0, name)
  end
  for _ = 1, #entries, 2 do
    if not wake_claimer(name) then
      break
    end
  end
end

local function leave_lane(name, ids)
  local lane = lane_prefix .. name
  redis.call("ZREM", lane, unpack(ids))
  if redis.call("EXISTS", lane) == 0 then
    redis.call("ZREM", lanes, name)
  end
end

local function lane_score(priority)
  return priority == "0" and "0" or int(0 - priority)
end

-- Remove a task from the indexes of its current state, but not from `deadlines`. The caller saves the record.
local function leave_indexes(id, record)
  count(record.state, -1)
  if is_claimed(record) then
    redis.call("ZREM", leases, id)
    redis.call("ZREM", claims .. record.agent, id)
  elseif is_terminal(record) then
    redis.call("ZREM", finished, id)
  elseif record.due then
    redis.call("ZREM", delayed, id)
    record.due = nil
  else
    leave_lane(record.lane, { id })
  end
end
