/// Which of several processes this is, where `mpirun` or `srun` started it.
struct LaunchedRank: Equatable {
  let rank: Int
  let size: Int
  /// Tells this run of the launcher from others.
  let runName: String

  /// - Parameter environment: Looks a variable up.
  init?(environment: (String) -> String?) {
    func number(_ names: String...) -> Int? { names.compactMap { environment($0).flatMap { Int($0) } }.first }
    let known: [(rank: Int?, size: Int?, run: [String])] = [
      (number("OMPI_COMM_WORLD_RANK"), number("OMPI_COMM_WORLD_SIZE"), ["PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"]),
      (number("PMI_RANK"), number("PMI_SIZE"), ["PMI_KVS", "SLURM_JOB_ID", "SLURM_STEP_ID"]),
      // In a batch script itself, SLURM_PROCID is 0 and no step's size is set: there it is one process of one.
      (number("SLURM_PROCID"), number("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"), ["SLURM_JOB_ID", "SLURM_STEP_ID"]),
    ]
    for (rank, size, run) in known {
      guard let rank, let size, size > 1, (0..<size).contains(rank) else { continue }
      self.rank = rank
      self.size = size
      runName = run.compactMap(environment).joined(separator: ".")
      return
    }
    return nil
  }

  /// Every size-th rank, beginning with its own.
  func share(of count: Int) -> [Int] { Array(stride(from: rank, to: count, by: size)) }
}
