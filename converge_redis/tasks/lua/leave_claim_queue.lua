-- leave_queue: claimers wait no more.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener
-- ARGV[2]   profile
-- ARGV[3…]  the claimers' numbers
-- Reply     {"OK"}
--@include tasks/claim_queue

local numbers = {}
for i = 3, #ARGV do
  numbers[i - 2] = ARGV[i]
end
claim_queue().unregister(ARGV[1], ARGV[2], numbers)
return { "OK" }
