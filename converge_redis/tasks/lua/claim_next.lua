-- claim_next: pending -> assigned, of the best tasks that the agent may have.
-- KEYS[1]   the shard (core/shard_keys)
-- KEYS[2]   where a scope is needed: what the delegations' keys begin with (delegation/delegations)
-- ARGV[1]   call id
-- ARGV[2]   agent id
-- ARGV[3]   the most tasks to claim
-- ARGV[4]   "again" when the call may have been made before and its reply was lost, else "first"
-- ARGV[5]   listener of the claimer, ARGV[6] its number there, ARGV[7] its profile; "" without a listener
-- ARGV[8]   what it does: "look": claim what there is; "wait": also wait if there is nothing; "leave": claim,
--           and wait no more; or the lane for which it was woken: claim, and wait again if there is nothing
-- ARGV[9]   the state of what it claims: "assigned", or "running" for a claimer that begins at once
-- ARGV[10]  on whose behalf it claims ("": anybody's), ARGV[11] the scope that it needs for that, or ""
-- ARGV[12…] the filter (tasks/filter): pools, topics, capabilities
-- Reply     {"CLAIMED", task, task, …} (tasks/reply)
--           {"NOTHING", microseconds until the listener is to tick (tasks/due_timer), or ""}
--           {"NOT_GRANTED"}
--           {"MORE"}: there may be something, behind more of what is over than one call clears away
--@include tasks/expiry
--@include tasks/lanes
--@include tasks/heap
--@include tasks/reply
--@include delegation/grants

local home = KEYS[2]
local call, agent, wanted, sending = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local listener, number, filter_id, mode = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local woken_for = mode ~= "look" and mode ~= "wait" and mode ~= "leave" and mode
local state, principal, scope = ARGV[9], ARGV[10], ARGV[11]
local FILTER = 12
local MAX_CLAIMS_READ = 1000
local MAX_DEADLINES_PASSED = 16

local reply = { "CLAIMED" }
if sending == "again" then
  for _, id in ipairs(redis.call("ZREVRANGE", claims .. agent, 0, MAX_CLAIMS_READ - 1)) do
    local record = load_readable(id)
    if record and is_last_call(record, call) then
      reply[#reply + 1] = task_reply(id, record)
    end
  end
  if #reply > 1 then
    return reply
  end
end

if woken_for or mode == "leave" then
  claim_queue().unregister(listener, filter_id, { number })
end
if scope ~= "" and not lazy.is_granted(home, agent, principal, scope) then
  if woken_for then
    wake(woken_for)
  end
  return { "NOT_GRANTED" }
end
local next_due_at = sweep_due()
local filter = read_filter(ARGV, FILTER)

-- The best tasks of each lane that the agent may claim from, in the order of the lane.
local heads = {}
local MAX_READ = 100

-- Reads the best tasks of a lane, at most `number`; what was read before has left it by then.
local function read_head(name, number)
  local best = redis.call("ZRANGE", lane_prefix .. name, 0, number - 1, "WITHSCORES")
  return best[1] and { lane = name, best = best, at = 1, id = best[1], score = tonumber(best[2]) }
end

each_lane(filter, "-", function(name)
  heads[#heads + 1] = read_head(name, 1)
end)

heapify(heads)

local claimed_by_lane = {} -- ids
local lease_entries, claim_entries = {}, {} -- scores and ids for `leases` and `claims`
local remaining = wanted

local function leave_lanes()
  for name, members in pairs(claimed_by_lane) do
    leave_lane(name, members)
    count("pending", -#members)
  end
  claimed_by_lane = {}
end

local function next_head(head)
  head.at = head.at + 2
  head.id, head.score = head.best[head.at], tonumber(head.best[head.at + 1])
  if head.id then
    return head
  end
  leave_lanes()
  return read_head(head.lane, math.max(1, math.min(remaining, MAX_READ)))
end

local claimed_from = {}

for _ = 1, wanted + MAX_DEADLINES_PASSED do
  if #heads == 0 or remaining == 0 then
    break
  end
  local head = heads[1]
  local name, id = head.lane, head.id
  local is_read, record = try_load(id)
  if not is_read or not record then
    leave_lane(name, { id }) -- the server evicted the record, or somebody deleted or overwrote it
  elseif record.state == "pending" then
    start_claim(id, record, agent, call, listener, state)
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
if #reply > 1 then
  leave_lanes()
  redis.call("ZADD", leases, unpack(lease_entries))
  redis.call("ZADD", claims .. agent, unpack(claim_entries))
  count(state, wanted - remaining)
  -- A claimer that was woken for one lane and found better in another leaves the first to the next one.
  if woken_for and not claimed_from[woken_for] and redis.call("EXISTS", lane_prefix .. woken_for) == 1 then
    wake(woken_for)
  end
  return reply
end
if #heads > 0 or next_due_at <= now then
  return { "MORE" }
end
if mode == "look" or mode == "leave" then
  return { "NOTHING", "" }
end
claim_queue().register(listener, filter_id, filter, table.concat(ARGV, " ", FILTER) .. " ", { number })
return { "NOTHING", elect_timer(listener, next_due_at) }
