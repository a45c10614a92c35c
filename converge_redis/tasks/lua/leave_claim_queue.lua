-- leave_claim_queue: Remove waiting claimers with the same filter from the claim queue.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener
-- ARGV[2]   filter id
-- ARGV[3…]  numbers of the claimers
-- Reply     {"OK"}
--@include tasks/claim_queue

local numbers = {}
for i = 3, #ARGV do
  numbers[i - 2] = ARGV[i]
end
unregister_claimers(ARGV[1], ARGV[2], numbers)
return { "OK" }
