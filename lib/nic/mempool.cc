// SPDX-License-Identifier: BSD-3-Clause
// Making, taking and giving back packet buffers. (nic/mempool.h)
#include "nic/mempool.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "base/ensure.h"
#include "millrace/config.h"
#include "nic/topology.h"

namespace millrace::nic {

static_assert(buffer_headroom == RTE_PKTMBUF_HEADROOM);
static_assert(sizeof(rte_mbuf) + buffer_headroom + sizeof(rte_mempool_objhdr) <= buffer_bytes(0));

static constexpr size_t huge_page = size_t{2} << 20;

static size_t mapped_size(size_t bytes) {
  return (bytes + 2 * huge_page - 1) & ~(huge_page - 1);
}

static void unmap(rte_mempool_memhdr* chunk, void* mapping) {
  munmap(mapping, mapped_size(chunk->len));
}

// Anonymous memory on huge page boundaries. Ordinary users get huge pages that way where the kernel has them.
static int populate_own(rte_mempool* pool) {
  rte_mempool_objsz sizes;
  rte_mempool_calc_obj_size(pool->elt_size, pool->flags, &sizes);
  size_t length = size_t{sizes.total_size} * pool->size + RTE_CACHE_LINE_SIZE;
  void* mapping =
      mmap(nullptr, mapped_size(length), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return -ENOMEM;
  auto address = (reinterpret_cast<uintptr_t>(mapping) + huge_page - 1) & ~(huge_page - 1);
  madvise(reinterpret_cast<void*>(address), length, MADV_HUGEPAGE);
  // The address stands in for an IO address: nothing that uses such a pool does DMA.
  int got =
      rte_mempool_populate_iova(pool, reinterpret_cast<char*>(address), address, length, unmap, mapping);
  if (got < 0) munmap(mapping, mapped_size(length));
  return got;
}

// Null: `error` says why.
static rte_mempool* make_pool(const PoolShape& wanted, int& error) {
  static std::atomic<unsigned> number{0};
  std::string name = "millrace_" + std::to_string(number++);
  // Where nothing does DMA a buffer may cross a page. Without this flag one that would is moved to the next: with small
  // pages that is each, and a pool takes 4 KB a buffer. With it buffers have no IO address.
  unsigned flags = wanted.does_dma ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
  const uint32_t room = buffer_headroom + wanted.room;
  rte_mempool* pool =
      rte_mempool_create_empty(name.c_str(), wanted.buffers, static_cast<unsigned>(sizeof(rte_mbuf)) + room,
                               wanted.cache, sizeof(rte_pktmbuf_pool_private), wanted.numa_node, flags);
  error = rte_errno;
  if (pool == nullptr) return nullptr;
  rte_pktmbuf_pool_private shape{};
  shape.mbuf_data_room_size = static_cast<uint16_t>(room);
  rte_pktmbuf_pool_init(pool, &shape);
  // With ring_mp_mc whoever comes next waits, spinning, until one that has begun before it is through.
  int got = rte_mempool_set_ops_byname(pool, wanted.shares_cpu ? "ring_mt_rts" : "ring_mp_mc", nullptr);
  if (got == 0) got = wanted.own_memory ? populate_own(pool) : rte_mempool_populate_default(pool);
  if (got < static_cast<int>(wanted.buffers)) {
    error = got < 0 ? -got : ENOMEM;
    rte_mempool_free(pool);
    return nullptr;
  }
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return pool;
}

PacketPool::PacketPool(const char* purpose, const PoolShape& shape) : purpose_(purpose), buffers_(shape.buffers), room_(shape.room) {
  int error = 0;
  pool_ = make_pool(shape, error);
  if (pool_ == nullptr && shape.numa_node != SOCKET_ID_ANY) {  // rather far than not at all: the banner warns
    PoolShape anywhere = shape;
    anywhere.numa_node = SOCKET_ID_ANY;
    pool_ = make_pool(anywhere, error);
  }
  if (pool_ != nullptr) return;
  std::string need = std::to_string((buffers_ * buffer_bytes(room_) >> 20) + 1);
  throw ConfigError("no memory for " + std::to_string(buffers_) + " packet buffers (" + purpose + ", " + need +
                    " MB: " + rte_strerror(error) +
                    "): ask for fewer with --packet-buffers, reserve more huge " +
                    "pages, or give EAL more memory with -m");
}

PacketPool& PacketPool::operator=(PacketPool&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(purpose_, other.purpose_);
  std::swap(buffers_, other.buffers_);
  std::swap(room_, other.room_);
  return *this;
}

PacketPool::~PacketPool() {
  rte_mempool_free(pool_);
}

uint32_t PacketPool::missing() const {
  return pool_ == nullptr ? 0 : pool_->size - rte_mempool_avail_count(pool_);
}

int PacketPool::node() const {
  const rte_mempool_memhdr* chunk = STAILQ_FIRST(&pool_->mem_list);
  return chunk == nullptr ? -1 : node_of_memory(chunk->addr);
}

rte_mbuf* PacketPool::take() {
  void* mbuf = nullptr;
  return rte_mempool_get(pool_, &mbuf) == 0 ? static_cast<rte_mbuf*>(mbuf) : nullptr;
}

rte_mbuf* PacketPool::take(uint32_t length) {
  rte_mbuf* mbuf = length <= room_ ? take() : nullptr;
  if (mbuf == nullptr) return nullptr;
  mbuf->data_off = buffer_headroom;
  mbuf->data_len = static_cast<uint16_t>(length);
  mbuf->pkt_len = length;
  mbuf->ol_flags = 0;
  return mbuf;
}

Slice take_slice(PacketPool& pool) {
  rte_mbuf* mbuf = pool.take();
  if (mbuf == nullptr) return {};
  mbuf->data_off = buffer_headroom;
  auto* handle = reinterpret_cast<uint8_t*>(mbuf);
  auto offset = static_cast<uint16_t>(rte_pktmbuf_mtod(mbuf, uint8_t*) - handle);
  return {PacketRef{handle}, Slice::own_buffer, offset, static_cast<uint16_t>(pool.room())};
}

bool take_slices(PacketPool& pool, std::span<Slice> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = take_slice(pool);
    if (out[i]) continue;
    for (size_t k = 0; k < i; ++k) release(out[k].packet);
    return false;
  }
  return true;
}

// One segment implies next == null (DPDK's own invariant, and nic/rx lets no chain in), so the second cache
// line of the mbuf stays untouched.
static bool is_clean(const rte_mbuf* mbuf) {
  return mbuf->nb_segs == 1 && rte_mbuf_refcnt_read(mbuf) == 1 && RTE_MBUF_DIRECT(mbuf);
}

void release(std::span<const PacketRef> packets) {
  constexpr unsigned bulk = 64;
  constexpr size_t ahead = 8;
  void* run[bulk];
  unsigned count = 0;
  rte_mempool* pool = nullptr;
  for (size_t i = 0; i < packets.size(); ++i) {
    if (i + ahead < packets.size()) rte_prefetch0(packets[i + ahead].handle);
    auto* mbuf = reinterpret_cast<rte_mbuf*>(packets[i].handle);
    if (!is_clean(mbuf)) [[unlikely]] {
      rte_pktmbuf_free(mbuf);
      continue;
    }
    debug_ensure(mbuf->next == nullptr);
    if (mbuf->pool != pool || count == bulk) {
      if (count != 0) rte_mempool_put_bulk(pool, run, count);
      pool = mbuf->pool;
      count = 0;
    }
    run[count++] = mbuf;
  }
  if (count != 0) rte_mempool_put_bulk(pool, run, count);
}

}  // namespace millrace::nic
