-- audit: Check one key against the others, a page of its entries per call.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   the kind of key: pool, members, admits (of a pool), agent (its memberships), deleted (a mark)
-- ARGV[2]   the id that it belongs to
-- ARGV[3]   position of the last entry of the previous page, or "-inf"
-- ARGV[4]   the most entries to check
-- Reply     {"MORE" or "DONE", position of the last entry checked, violation, detail, violation, detail, …}
--@include pools/pools

local kind, id, after, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local reply = { "DONE", after }

local function report(violation, detail)
  reply[#reply + 1] = violation
  reply[#reply + 1] = detail
end

local function check_pool(pool)
  local is_listed = redis.call("ZSCORE", pools, id)
  if pool and not is_listed then
    report("missing_entry", "the pool is not in the index of pools")
  elseif is_listed and not pool then
    report("missing_record", "the pool in the index of pools does not exist")
  end
  local count = redis.call("ZCARD", members .. id)
  if pool and pool.max and count > tonumber(pool.max) then
    report("too_many_members", int(count) .. " of at most " .. pool.max)
  end
end

local function check_admits(pool)
  if not pool or (pool.admission ~= "whitelist" and pool.admission ~= "token") then
    report("leftover_key", "a whitelist, or tokens, of no pool that uses them")
  end
end

local function check_deleted(pool)
  if deletion_call(id) then
    local count = int(redis.call("ZCARD", members .. id))
    report(pool and "deleted_pool" or "unfinished_deletion", count .. " members are left")
  end
end

-- Check the members of a pool, or the memberships of an agent: the opposite index must have the same score.
local function check_entries(key, opposite, violation)
  local page = redis.call("ZRANGEBYSCORE", key, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, limit)
  for i = 1, #page, 2 do
    reply[2] = int(tonumber(page[i + 1]))
    if redis.call("ZSCORE", opposite .. page[i], id) ~= page[i + 1] then
      report(violation, page[i])
    end
  end
  reply[1] = #page == 2 * limit and "MORE" or "DONE"
end

local pool = kind ~= "agent" and load_pool(id)
if kind == "pool" then
  check_pool(pool)
elseif kind == "admits" then
  check_admits(pool)
elseif kind == "deleted" then
  check_deleted(pool)
elseif kind == "members" then
  if not pool and not deletion_call(id) and redis.call("EXISTS", members .. id) == 1 then
    report("leftover_key", "members of a pool that does not exist")
  end
  check_entries(members .. id, memberships, "member_without_membership")
else
  check_entries(memberships .. id, members, "membership_without_member")
end
return reply
