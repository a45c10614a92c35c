-- claim_next: pending -> assigned, of the best tasks that the agent may have.
-- KEYS[1]   the shard (shared/shard.lua)
-- KEYS[2]   where a scope is needed: what the delegations' keys begin with (shared/delegations.lua)
-- ARGV[1]   call id
-- ARGV[2]   agent id
-- ARGV[3]   the most tasks to claim
-- ARGV[4]   "again" when the call may have been made before and its reply was lost, else "first"
-- ARGV[5]   listener of the claimer, ARGV[6] its number there, ARGV[7] its profile; "" without a listener
-- ARGV[8]   what it does: "look": claim what there is; "wait": also wait if there is nothing; "leave": claim,
--           and wait no more; or the lane for which it was woken: claim, and wait again if there is nothing
-- ARGV[9]   on whose behalf it claims ("": anybody's), ARGV[10] the scope that it needs for that, or ""
-- ARGV[11…] the filter (shared/filter.lua): pools, topics, capabilities
-- Reply     {"CLAIMED", task, task, …} (shared/reply.lua)
--           {"NOTHING", microseconds until the listener is to tick (shared/alarm.lua), or ""}
--           {"NOT_GRANTED"}
--           {"MORE"}: there may be something, behind more of what is over than one call clears away
--@include shared/time
--@include shared/lanes
--@include shared/heap
--@include shared/reply
--@include shared/delegations

local home = KEYS[2]
local call, agent, wanted, sending = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local listener, number, profile, act = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local woken_for = act ~= "look" and act ~= "wait" and act ~= "leave" and act
local principal, scope = ARGV[9], ARGV[10]
local FILTER = 11
local MOST_CLAIMS_LOOKED_AT = 1000
local MOST_DEADLINES_PASSED = 16

local reply = { "CLAIMED" }
if sending == "again" then
  for _, id in ipairs(redis.call("ZREVRANGE", claims .. agent, 0, MOST_CLAIMS_LOOKED_AT - 1)) do
    local record = load(id)
    if record and is_last(record, call) then
      reply[#reply + 1] = task_reply(id, record)
    end
  end
  if #reply > 1 then
    return reply
  end
end

if woken_for or act == "leave" then
  queues().unregister(listener, profile, { number })
end
if scope ~= "" and not make_delegations(home).is_granted(agent, principal, scope) then
  if woken_for then
    wake(woken_for)
  end
  return { "NOT_GRANTED" }
end
sweep()

-- The best task of each lane that the agent may claim from.
local heads = {}

local function read_head(name)
  local head = redis.call("ZRANGE", lane_prefix .. name, 0, 0, "WITHSCORES")
  return head[1] and { lane = name, id = head[1], score = tonumber(head[2]) }
end

each_lane((read_filter(ARGV, FILTER)), "-", function(name)
  heads[#heads + 1] = read_head(name)
end)

heapify(heads)

local claimed_from = {}

for _ = 1, wanted + MOST_DEADLINES_PASSED do
  if #heads == 0 or #reply > wanted then
    break
  end
  local name, id = heads[1].lane, heads[1].id
  local record = load_current(id)
  if not record then
    redis.call("ZREM", lane_prefix .. name, id) -- the server evicted the record, or somebody deleted it
  elseif record.state == "pending" then
    assign(id, record, agent, call, listener)
    claimed_from[name] = true
    reply[#reply + 1] = task_reply(id, record)
  end
  replace_top(heads, read_head(name))
end
if #reply > 1 then
  -- A claimer that was woken for one lane and found better in another leaves the first to the next one.
  if woken_for and not claimed_from[woken_for] and redis.call("EXISTS", lane_prefix .. woken_for) == 1 then
    wake(woken_for)
  end
  return reply
end
if #heads > 0 or next_due() <= now then
  return { "MORE" }
end
if act == "look" or act == "leave" then
  return { "NOTHING", "" }
end
queues().register(listener, profile, table.concat(ARGV, " ", FILTER) .. " ", { number })
return { "NOTHING", keep_time(listener) }
