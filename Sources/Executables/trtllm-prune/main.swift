import Commands

await CommandRunner.main(PruneCommand.self)
