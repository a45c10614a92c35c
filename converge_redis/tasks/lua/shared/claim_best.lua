-- Claiming the best tasks of all lanes that match a filter.
--@include tasks/expiry
--@include tasks/lanes
--@include tasks/lane_heads

local TASKS_PER_READ = 100
local MAX_SKIPPED = 16

-- Claim up to `wanted` tasks, and append them to the reply, the best first. Returns the set of lanes that it
-- claimed from, and whether there may be more: it skips a bounded number of tasks whose deadline has passed,
-- or whose record is unreadable.
local function claim_best(reply, filter, wanted, agent, call_id, listener, state)
  local heads, remaining = {}, wanted
  local claimed_from, claimed_by_lane = {}, {} -- lanes; by lane, the claimed ids that have yet to leave it
  local lease_entries, claim_entries = {}, {} -- for `leases` and `claims:`

  each_lane(filter, "-", function(name)
    heads[#heads + 1] = read_head(name, 0, 1)
  end)
  heapify(heads)

  local function leave_lanes()
    for name, ids in pairs(claimed_by_lane) do
      leave_lane(name, ids)
      count("pending", -#ids)
    end
    claimed_by_lane = {}
  end

  -- Return the head of the same lane at its next task. When more is read, all tasks read before have left the
  -- lane, so the next one has rank 0.
  local function next_head(head)
    if next_task(head) then
      return head
    end
    leave_lanes()
    return read_head(head.lane, 0, math.max(1, math.min(remaining, TASKS_PER_READ)))
  end

  for _ = 1, wanted + MAX_SKIPPED do
    if #heads == 0 or remaining == 0 then
      break
    end
    local head = heads[1]
    local name, id = head.lane, head.id
    local is_read, record = pcall(load_current, id)
    if not is_read or not record then
      leave_lane(name, { id }) -- the server evicted the record, or another program deleted or overwrote it
    elseif record.state == "pending" then
      start_claim(id, record, agent, call_id, listener, state)
      claimed_by_lane[name] = claimed_by_lane[name] or {}
      table.insert(claimed_by_lane[name], id)
      remaining = remaining - 1
      local at = 2 * (wanted - remaining)
      lease_entries[at - 1], lease_entries[at] = record.lease or "+inf", id
      claim_entries[at - 1], claim_entries[at] = record.token, id
      claimed_from[name] = true
      reply[#reply + 1] = task_reply(id, record)
    end
    replace_top(heads, remaining > 0 and next_head(head) or nil)
  end
  if remaining < wanted then
    leave_lanes()
    redis.call("ZADD", leases, unpack(lease_entries))
    redis.call("ZADD", claims .. agent, unpack(claim_entries))
    count(state, wanted - remaining)
  end
  return claimed_from, #heads > 0
end
