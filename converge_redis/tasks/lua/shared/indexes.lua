-- The indexes. A task is in exactly the indexes that its state demands:
--   pending            its lane, or `delayed` until it is due
--   assigned, running  `leases` and the agent's `claims`
--   completed, failed, cancelled   `finished`
-- and in `deadlines` as long as it is not terminal and has one. What scripts do to many tasks at once goes
-- into an index by one command; members are lists of ids, entries lists of score, id, score, id, …
--@include tasks/record
--@include tasks/claim_queue

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
    if not wake(name) then
      break
    end
  end
end

local function leave_lane(name, members)
  local lane = lane_prefix .. name
  redis.call("ZREM", lane, unpack(members))
  if redis.call("EXISTS", lane) == 0 then
    redis.call("ZREM", lanes, name)
  end
end

-- The score of a task in its lane.
local function score_of(priority)
  return priority == "0" and "0" or int(0 - priority)
end

-- Takes a task out of the indexes of its present state; the record is still to be saved.
local function leave(id, record)
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
